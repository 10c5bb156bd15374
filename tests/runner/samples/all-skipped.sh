#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Nothing passes: a run of this alone is no success.
echo "1..0 # SKIP nothing to test here"
