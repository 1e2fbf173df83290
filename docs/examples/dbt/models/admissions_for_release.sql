-- What is released: the columns that may leave, one row per stay, under the names of the schema of privsynth.
-- It is written as a Parquet file, which the step after dbt reads.
{{ config(materialized="external", location="admissions_for_release.parquet") }}

select patient_id, ward, age, sex, admitted, discharged
from read_csv('{{ var("admissions") }}', all_varchar = true)
