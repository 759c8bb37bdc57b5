/* SPDX-License-Identifier: MIT */
#include "api/smallocx.h"

#include "api/names.h"

#if CONFIG_SMALLOCX

EXPORT smallocx_return_t
SMALLOCX(size_t size, int flags)
{
	void *p = API(mallocx)(size, flags);

	return (smallocx_return_t){ p, p == NULL ? 0 : API(sallocx)(p, flags) };
}

#endif
