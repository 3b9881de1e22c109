"""One test per row of the Kubernetes conformance suite, through the public API of a running cluster.

`rows.tsv` lists the rows; a test names its row with `@row(number, testname)`; the report at the end of the run says how
many rows pass, and which have no test.  `TIPHYS_CONFORMANCE_STORE=etcd` runs the whole session on etcd.
"""
