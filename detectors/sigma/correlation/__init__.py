"""Sigma correlations: what several events say together (specification of correlations 2.1.0)."""
