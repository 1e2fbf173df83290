"""Which elements of ISO 20022 become which columns. Source: the message definitions at https://www.iso20022.org.

Namespaces, which hold the version of a message, are not looked at: the elements read here are those of versions 02 to
14. Names, addresses, remittance texts and references are not read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Meaning = Literal["account", "amount", "code", "date", "flag"]


@dataclass(frozen=True, kw_only=True)
class MessageLayout:
    """A table of messages.

    Attributes:
      record: the element that is a row.
      header: the element before it whose values hold for all records after it, in the same `scope`.
      scope: the elements at whose start the header is forgotten.
      columns: name -> meaning, and paths of which the first that is there counts; one that begins with `^` starts in
        the header, and `@Ccy` at its end is an attribute.
    """

    record: str
    header: str
    scope: tuple[str, ...]
    columns: Mapping[str, tuple[Meaning, tuple[str, ...]]]


def _code(*paths: str) -> tuple[Meaning, tuple[str, ...]]:
    return "code", paths


LAYOUTS: Mapping[str, MessageLayout] = {
    "entry": MessageLayout(  # camt.052, camt.053, camt.054
        record="Ntry",
        header="Acct",
        scope=("Rpt", "Stmt", "Ntfctn"),
        columns={
            "account": ("account", ("^Id/IBAN", "^Id/Othr/Id")),
            "account_currency": _code("^Ccy"),
            "amount": ("amount", ("Amt",)),
            "currency": _code("Amt@Ccy"),
            "credit_debit": _code("CdtDbtInd"),
            "reversal": ("flag", ("RvslInd",)),
            "status": _code("Sts/Cd", "Sts"),
            "booking_date": ("date", ("BookgDt/Dt", "BookgDt/DtTm")),
            "value_date": ("date", ("ValDt/Dt", "ValDt/DtTm")),
            "domain": _code("BkTxCd/Domn/Cd"),
            "family": _code("BkTxCd/Domn/Fmly/Cd"),
            "sub_family": _code("BkTxCd/Domn/Fmly/SubFmlyCd"),
            "bank_code": _code("BkTxCd/Prtry/Cd"),
            "purpose": _code("NtryDtls/TxDtls/Purp/Cd"),
            "return_reason": _code("NtryDtls/TxDtls/RtrInf/Rsn/Cd"),
        },
    ),
    "transfer": MessageLayout(  # pacs.008
        record="CdtTrfTxInf",
        header="GrpHdr",
        scope=("FIToFICstmrCdtTrf",),
        columns={
            "debtor_account": ("account", ("DbtrAcct/Id/IBAN", "DbtrAcct/Id/Othr/Id")),
            "creditor_account": ("account", ("CdtrAcct/Id/IBAN", "CdtrAcct/Id/Othr/Id")),
            "amount": ("amount", ("IntrBkSttlmAmt",)),
            "currency": _code("IntrBkSttlmAmt@Ccy"),
            "settlement_date": ("date", ("IntrBkSttlmDt", "^IntrBkSttlmDt")),
            "instructed_amount": ("amount", ("InstdAmt",)),
            "instructed_currency": _code("InstdAmt@Ccy"),
            "charge_bearer": _code("ChrgBr"),
            "service_level": _code("PmtTpInf/SvcLvl/Cd", "^PmtTpInf/SvcLvl/Cd"),
            "local_instrument": _code("PmtTpInf/LclInstrm/Cd", "^PmtTpInf/LclInstrm/Cd"),
            "category_purpose": _code("PmtTpInf/CtgyPurp/Cd", "^PmtTpInf/CtgyPurp/Cd"),
            "purpose": _code("Purp/Cd"),
            "debtor_agent": _code("DbtrAgt/FinInstnId/BICFI", "DbtrAgt/FinInstnId/BIC"),
            "creditor_agent": _code("CdtrAgt/FinInstnId/BICFI", "CdtrAgt/FinInstnId/BIC"),
            "debtor_country": _code("Dbtr/PstlAdr/Ctry", "Dbtr/CtryOfRes"),
            "creditor_country": _code("Cdtr/PstlAdr/Ctry", "Cdtr/CtryOfRes"),
        },
    ),
}
# Codes that the message definitions themselves fix.
FIXED: Mapping[str, tuple[str, ...]] = {
    "credit_debit": ("CRDT", "DBIT"),
    "charge_bearer": ("CRED", "DEBT", "SHAR", "SLEV"),
}
