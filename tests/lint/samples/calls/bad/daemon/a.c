/* SPDX-License-Identifier: Apache-2.0 */
int a(char *b) { return sprintf(b, "x"); }
