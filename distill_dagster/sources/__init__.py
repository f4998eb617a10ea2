"""From source files to raw rows: finding the files, turning a line into a row, and refusing rows with a reason."""
