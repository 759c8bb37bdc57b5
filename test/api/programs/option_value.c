/* SPDX-License-Identifier: MIT */
/*
 * option_value -- what opt.<name> says in a program that was not built for tract.
 *
 *	option_value TYPE NAME [TYPE NAME]...
 *
 * A line each: NAME VALUE, or NAME and the name of the error.  TYPE is what the node hands out:
 * bool, unsigned, u32, u64, i64, size_t, ssize_t, text.
 *
 * `secure' before all that fails with 77 unless the process is privileged.  With -DSOURCES the
 * program has options of its own.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/types.h>
#include <unistd.h>

typedef int mallctl_function(const char *, void *, size_t *, void *, size_t);

#ifdef SOURCES
extern mallctl_function mallctl;
const char *malloc_conf = "narenas:2,lg_tcache_max:10,dirty_decay_ms:2s";
const char *malloc_conf_2_conf_harder = "dirty_decay_ms:5s";
#endif

static mallctl_function *
find_mallctl(void)
{
#ifdef SOURCES
	return mallctl;
#else
	return (mallctl_function *)(uintptr_t)dlsym(RTLD_DEFAULT, "mallctl");
#endif
}

union value {
	bool b;
	unsigned u;
	uint32_t u32;
	uint64_t u64;
	int64_t i64;
	size_t size;
	ssize_t ssize;
	const char *text;
};

static size_t
size_of(const char *type)
{
	if (strcmp(type, "bool") == 0)
		return sizeof(bool);
	if (strcmp(type, "unsigned") == 0 || strcmp(type, "u32") == 0)
		return 4;
	return 8;
}

static void
print(const char *type, const union value *v)
{
	if (strcmp(type, "bool") == 0)
		puts(v->b ? "true" : "false");
	else if (strcmp(type, "unsigned") == 0)
		printf("%u\n", v->u);
	else if (strcmp(type, "u32") == 0)
		printf("%" PRIu32 "\n", v->u32);
	else if (strcmp(type, "u64") == 0)
		printf("%" PRIu64 "\n", v->u64);
	else if (strcmp(type, "i64") == 0)
		printf("%" PRId64 "\n", v->i64);
	else if (strcmp(type, "size_t") == 0)
		printf("%zu\n", v->size);
	else if (strcmp(type, "ssize_t") == 0)
		printf("%zd\n", v->ssize);
	else
		printf("\"%s\"\n", v->text);
}

static void
read_node(mallctl_function *ctl, const char *type, const char *option)
{
	char name[128];
	union value v;
	size_t length = size_of(type);

	memset(&v, 0x55, sizeof v);
	snprintf(name, sizeof name, "opt.%s", option);
	const int rc = ctl(name, &v, &length, NULL, 0);
	printf("%s ", option);
	if (rc != 0)
		puts(rc == ENOENT ? "ENOENT" : rc == EINVAL ? "EINVAL" : "error");
	else
		print(type, &v);
	length = 0;
	if (ctl(name, NULL, &length, &v, 1) == 0)
		printf("%s can be written\n", option);
}

int
main(int argc, char **argv)
{
	mallctl_function *ctl = find_mallctl();

	if (ctl == NULL)
		return 3;
	if (argc > 1 && strcmp(argv[1], "secure") == 0) {
		if (getauxval(AT_SECURE) == 0)
			return 77;
		argc--;
		argv++;
	}
	for (int i = 1; i + 1 < argc; i += 2)
		read_node(ctl, argv[i], argv[i + 1]);
	return 0;
}
