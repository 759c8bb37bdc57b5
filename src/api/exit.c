/* SPDX-License-Identifier: MIT */
#include "api/exit.h"

void
exit_boot(void)
{
}
