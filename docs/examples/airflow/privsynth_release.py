"""An Airflow DAG: every month, ask a service of privsynth for a release, and fetch it once people have published it.

The tasks are commands, and their exit codes say what to do next. The worker of Airflow needs privsynth with its extra
`client`. Set the variables `privsynth_server` and `privsynth_token_file` in Airflow.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from airflow.providers.standard.operators.bash import BashOperator
from airflow.providers.standard.sensors.bash import BashSensor
from airflow.sdk import DAG

LITTLE_TO_LEARN = 8  # exit code; nothing was spent: the task is skipped, and the month has no release
SERVER = "--server {{ var.value.privsynth_server }} --token-file {{ var.value.privsynth_token_file }}"
RUN = "{{ ti.xcom_pull(task_ids='ask') }}"
FOLDER = "{{ params.folder }}/{{ ds }}"

# Tried again, it is the same run: --once names the run of Airflow, so that nothing is spent twice. A check that failed
# (3) is for the people who decide, and not for Airflow. The last line is what the next tasks pull.
ASK = f"""
privsynth {SERVER} synthesize admissions --epsilon 0.5 --purpose "monthly table" \\
  --once "{{{{ run_id }}}}" --json > run.json
code=$?
if [ $code -ne 0 ] && [ $code -ne 3 ]; then cat run.json; exit $code; fi
python3 -c 'import json; print(json.load(open("run.json"))["id"])'
"""
# 0 once it is published, 1 as long as people decide, 2 when nothing will come of it.
PUBLISHED = f"""
privsynth {SERVER} runs show {RUN} --json > run.json || exit 1
python3 -c 'import json; state = json.load(open("run.json"))["state"]
raise SystemExit(dict(published=0, revoked=2, failed=2).get(state, 1))'
"""
FETCH = f"""
set -e
privsynth {SERVER} download {RUN} --out {FOLDER}
privsynth verify {FOLDER} --keyring {{{{ params.keyring }}}}
"""

with DAG(
    dag_id="privsynth_release",
    schedule="@monthly",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    max_active_runs=1,
    params={"folder": "/data/releases", "keyring": "/data/st-mary.keyring.json"},
    default_args={"retries": 3, "retry_delay": timedelta(minutes=10)},
):
    ask = BashOperator(
        task_id="ask", bash_command=ASK, skip_on_exit_code=LITTLE_TO_LEARN, execution_timeout=timedelta(hours=24)
    )
    published = BashSensor(
        task_id="published",
        bash_command=PUBLISHED,
        retry_exit_code=1,
        mode="reschedule",
        poke_interval=1800,  # seconds
        timeout=14 * 86_400,
    )
    fetch = BashOperator(task_id="fetch", bash_command=FETCH)
    ask >> published >> fetch
