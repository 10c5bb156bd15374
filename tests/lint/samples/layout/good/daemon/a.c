/* SPDX-License-Identifier: Apache-2.0 */
/* A sample of lint: run by no process, and trusts nothing at all. */
/* clang-format off */
#define TABLE(X) X("a row of a table may be wider than the rest, because it must be one line", and, a, half)
/* clang-format on */
