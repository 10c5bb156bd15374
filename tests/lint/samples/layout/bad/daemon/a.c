/* SPDX-License-Identifier: Apache-2.0 */
/* A sample of lint: run by no process, and trusts nothing at all. */
int a; 
