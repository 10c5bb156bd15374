#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# The rules on the source tree.
exec "$(dirname "$0")/lint.py"
