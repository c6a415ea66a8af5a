"""An oracle: a second, deliberately naive implementation of R4's search, and the proof that the server agrees.

The oracle walks all resources for each query. It shares no code with `fhirserver.search` and `fhirserver.storage`:
dates, numbers, units, strings and tokens have an arithmetic of their own here, and expressions are evaluated by the
library fhirpathpy. What R4 leaves to the server (case of tokens, what `ap` is, where missing values are sorted) is
done as `decisions/` and the tables in `tests/search` say.

A longer run, on other resources: `pytest tests/oracle --oracle-cases 100000 --oracle-seed 7`.
"""
