-- Services of one file that were brought up together: they find each other by name, and nothing that ran before them.
-- Named by the sequence of the operation that began it; NULL for what runs from before there were any.

ALTER TABLE deployments ADD COLUMN cohort bigint;
ALTER TABLE operations ADD COLUMN cohort bigint;
