"""What Dagster materializes: one file for each asset or family of assets, and the asset checks."""

import warnings

import dagster as dg

warnings.filterwarnings("ignore", category=dg.PreviewWarning)  # asset checks with partitions
warnings.filterwarnings("ignore", category=dg.BetaWarning)  # column schema checks
