/* SPDX-License-Identifier: Apache-2.0 */
/* A sample of lint: run by no process, and trusts nothing at all. */
int sample_count_words(int n)
{
	for (int i = 0; i < n; i++) {
		if (i == 1)
			return 1;
		else if (i == 2)
			return 2;
		else if (i == 3)
			while (n--)
				n--;
	}
	return 0;
}
