"""Plan, run, record, lock.  Knows steps and hosts, and nothing of K3s."""
