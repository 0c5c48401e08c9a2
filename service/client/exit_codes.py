"""How a command ends, for scripts that call it; 0 and 2 are as everywhere."""

EXIT_ERROR, EXIT_JOB_FAILED, EXIT_UNREACHABLE, EXIT_INTERRUPTED = 1, 3, 4, 130
