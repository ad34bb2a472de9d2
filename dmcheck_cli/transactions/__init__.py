"""Typed functions, one a statement: parameters in, frozen dataclasses out. Commands and jobs call these only."""
