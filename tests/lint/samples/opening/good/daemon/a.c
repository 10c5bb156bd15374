/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sample. Run by custodyd; trusts the plan after plan_check().
 */
