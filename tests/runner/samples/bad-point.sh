#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fails: one point is not ok.
echo "ok 1 - one"
echo "not ok 2 - two"
echo "1..2"
