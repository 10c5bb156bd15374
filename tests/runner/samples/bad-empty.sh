#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fails: no test at all.
echo "1..0"
