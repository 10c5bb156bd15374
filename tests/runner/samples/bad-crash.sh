#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Fails: killed after its plan.
echo "ok 1 - one"
echo "1..1"
kill -SEGV $$
