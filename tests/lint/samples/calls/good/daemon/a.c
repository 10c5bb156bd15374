/* SPDX-License-Identifier: Apache-2.0 */
/* strcpy() is only spoken of here */
int a(char *b) { return snprintf(b, 2, "sprintf(") + fgets(b, 2, 0) + a->system(1); }
