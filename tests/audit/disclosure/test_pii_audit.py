"""The screen over a whole release: columns that are not modelled are screened too, fresh identifiers are not."""

from __future__ import annotations

import numpy as np
import pandas as pd

from privsynth.audit.common.audit_tables import AuditTables
from privsynth.audit.common.settings import AuditContext, AuditSettings
from privsynth.audit.disclosure.pii_screen import pii
from privsynth.pipeline.audits.officer_audit import columns_apart
from privsynth.table import Table


def test_columns_that_are_not_modelled_are_screened_and_their_cells_never_told():
    rng = np.random.default_rng(0)
    real = pd.DataFrame({"ward": rng.choice(["A", "B"], 300)})
    apart = pd.DataFrame({"contact": [f"person{i}@example.org" for i in range(200)]})  # fewer rows than the others
    tables = AuditTables(train=real, holdout=None, synthetic=real, kinds={"ward": "categorical"}, apart=apart)
    findings = pii(tables, rng=rng, context=AuditContext(AuditSettings()))
    named = [f for f in findings if f.group.startswith("contact")]
    assert [f.visibility for f in named] == ["officer"]
    assert named[0].n == 200
    assert named[0].value == 1.0
    assert "person7" not in "".join(str(f.to_json()) for f in findings)


def test_columns_apart_are_texts_of_the_rows_asked_for():
    import pyarrow as pa

    table = Table(
        pa.table({"id": pa.array([7, None, 9]), "note": pa.array(["x", "", None]), "age": pa.array([1.5, 2.5, 3.5])})
    )
    frame = columns_apart(table, ["age"], np.array([0, 2]))
    assert list(frame.columns) == ["id", "note"]
    assert frame["note"].tolist() == ["x", None]
    assert [text.rstrip("0").rstrip(".") for text in frame["id"]] == ["7", "9"]
    assert columns_apart(table, ["id", "note", "age"], np.array([0])).empty


def test_fresh_identifiers_are_no_hits():
    from privsynth.codecs.columns import CategoryCodec, SurrogateCodec
    from privsynth.codecs.synthetic_rows import SyntheticRows
    from privsynth.codecs.table import TableCodec

    codec = TableCodec((SurrogateCodec("id"), CategoryCodec("ward", ("A", "B"), other=False, nullable=False)))
    drawn = codec.draw(np.array([[0, 1]], dtype=np.uint16), rng=np.random.default_rng(0))
    rows = SyntheticRows(codec, [drawn])
    assert rows.names == list(rows.frame().columns) == ["ward"]
