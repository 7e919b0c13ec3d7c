"""The report: tables of all that is known of a result, and one self-contained HTML page made from them."""
