/* SPDX-License-Identifier: Apache-2.0 */
/* https://example.org is no comment */
static const char *a = "// nor is this";
