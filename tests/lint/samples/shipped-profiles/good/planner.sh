#!/bin/sh
# Stands for the planner: accepts what has a section.
grep -q '^\[profile\]$' "$2"
