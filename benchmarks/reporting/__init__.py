"""What is made of the values that were measured: results, their report, and a chart."""
