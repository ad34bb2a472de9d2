"""The batch jobs that cron runs, one per module. Each may overlap with itself and with everything else."""
