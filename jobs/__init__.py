"""The batch jobs that cron runs, one a module. Each may overlap with itself and with everything else."""
