"""What Dagster materializes: one file an asset or a family of them, the checks beside what they check."""

import warnings

import dagster as dg

warnings.filterwarnings("ignore", category=dg.PreviewWarning)  # asset checks with partitions
warnings.filterwarnings("ignore", category=dg.BetaWarning)  # column schema checks
