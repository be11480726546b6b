"""What a potential is worth: errors against labels, coverage of error bars, barriers; arrays or ASE calculators in."""
