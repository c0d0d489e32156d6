"""What the thesis says and shows: figures, tables, numbers beside ours."""
