/* SPDX-License-Identifier: MIT */
#include "tool/elf_check.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <link.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/attr.h"

/* musl's header does not know it yet. */
#ifndef EM_LOONGARCH
#define EM_LOONGARCH 258
#endif

/* Linux follows four scripts that name each other as interpreters, then says ELOOP. */
#define SCRIPT_DEPTH_MAX 4
/* The kernel looks at this much of a file's first line. */
#define SCRIPT_LINE_MAX 256

#define NATIVE_CLASS (sizeof(void *) == 8 ? ELFCLASS64 : ELFCLASS32)

enum file_kind { FILE_ELF, FILE_SCRIPT, FILE_OTHER, FILE_UNREADABLE };

/* What the checks need of a file; nothing is owned. */
struct program_file {
	enum file_kind kind;
	int read_error;           /* errno, for FILE_UNREADABLE. */
	unsigned char elf_class;  /* ELFCLASS32 or ELFCLASS64. */
	unsigned char byte_order; /* ELFDATA2LSB or ELFDATA2MSB. */
	unsigned machine;         /* EM_*, right only in the native byte order. */
	bool layout_read;         /* The two below are known. */
	bool has_loader;
	char loader[PATH_MAX];             /* PT_INTERP. */
	char interpreter[SCRIPT_LINE_MAX]; /* Of a script. */
};

static const struct {
	unsigned machine;
	const char *name;
} machine_names[] = {
	{ EM_386, "i386" },
	{ EM_X86_64, "x86-64" },
	{ EM_ARM, "arm" },
	{ EM_AARCH64, "aarch64" },
	{ EM_RISCV, "riscv" },
	{ EM_PPC64, "ppc64" },
	{ EM_S390, "s390" },
	{ EM_MIPS, "mips" },
	{ EM_LOONGARCH, "loongarch" },
};

PRINTF_LIKE(3, 4)
static bool
refuse(char *why, size_t why_size, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(why, why_size, format, args);
	va_end(args);
	return false;
}

static void
describe_architecture(const struct program_file *file, char *text, size_t size)
{
	const char *name = "machine";
	char number[16] = "";
	snprintf(number, sizeof number, " %u", file->machine);
	for (size_t i = 0; i < sizeof machine_names / sizeof machine_names[0]; i++) {
		if (machine_names[i].machine == file->machine) {
			name = machine_names[i].name;
			number[0] = '\0';
		}
	}
	snprintf(text, size, "%d-bit %s%s%s", file->elf_class == ELFCLASS32 ? 32 : 64,
	    name, number, file->byte_order == ELFDATA2MSB ? ", big-endian" : "");
}

/* Find the loader that the program asks for.  A damaged table leaves layout_read false.
 */
static void
read_layout(int fd, struct program_file *file)
{
	ElfW(Ehdr) header;
	if (pread(fd, &header, sizeof header, 0) != sizeof header
	    || header.e_phentsize != sizeof(ElfW(Phdr))) {
		return;
	}
	for (unsigned i = 0; i < header.e_phnum; i++) {
		ElfW(Phdr) segment;
		const off_t at = (off_t)(header.e_phoff + i * sizeof segment);
		if (pread(fd, &segment, sizeof segment, at) != sizeof segment) {
			return;
		}
		if (segment.p_type != PT_INTERP) {
			continue;
		}
		const size_t length = segment.p_filesz < sizeof file->loader
		    ? segment.p_filesz
		    : sizeof file->loader - 1;
		if (pread(fd, file->loader, length, (off_t)segment.p_offset)
		    != (ssize_t)length) {
			return;
		}
		file->loader[length] = '\0';
		file->has_loader = true;
		break;
	}
	file->layout_read = true;
}

/* "#! /usr/bin/env python3\n": the interpreter is the first word. */
static void
read_interpreter(char *line, struct program_file *file)
{
	line[strcspn(line, "\n")] = '\0';
	const char *word = line + 2;
	word += strspn(word, " \t");
	const size_t length = strcspn(word, " \t");
	memcpy(file->interpreter, word, length);
	file->interpreter[length] = '\0';
}

static void
read_program_file(const char *path, struct program_file *file)
{
	memset(file, 0, sizeof *file);
	file->kind = FILE_UNREADABLE;
	const int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		file->read_error = errno;
		return;
	}
	char start[SCRIPT_LINE_MAX] = "";
	const ssize_t got = pread(fd, start, sizeof start - 1, 0);
	if (got < 0) {
		file->read_error = errno;
		close(fd);
		return;
	}
	file->kind = FILE_OTHER;
	if (got >= 2 && memcmp(start, "#!", 2) == 0) {
		file->kind = FILE_SCRIPT;
		read_interpreter(start, file);
	} else if ((size_t)got >= sizeof(Elf32_Ehdr)
	    && memcmp(start, ELFMAG, SELFMAG) == 0) {
		uint16_t machine;
		memcpy(&machine, start + offsetof(Elf32_Ehdr, e_machine), sizeof machine);
		file->kind = FILE_ELF;
		file->elf_class = (unsigned char)start[EI_CLASS];
		file->byte_order = (unsigned char)start[EI_DATA];
		file->machine = machine;
		if (file->elf_class == NATIVE_CLASS) {
			read_layout(fd, file);
		}
	}
	close(fd);
}

/*
 * What makes the kernel say AT_SECURE, in which case the loader drops LD_PRELOAD: NULL if
 * nothing does.  A security module may still do it; that cannot be seen in the file.
 */
static const char *
privilege_gained(const char *path)
{
	struct stat st;
	struct statvfs fs;
	if (stat(path, &st) != 0
	    || (statvfs(path, &fs) == 0 && (fs.f_flag & ST_NOSUID) != 0)
	    || prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1) {
		return NULL;
	}
	if ((st.st_mode & S_ISUID) != 0 && st.st_uid != getuid()) {
		return "it is set-user-ID";
	}
	if ((st.st_mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP)
	    && st.st_gid != getgid()) {
		return "it is set-group-ID";
	}
	if (getuid() != 0 && getxattr(path, "security.capability", NULL, 0) > 0) {
		return "it has file capabilities";
	}
	return NULL;
}

static const char *
last_component(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash != NULL ? slash + 1 : path;
}

static bool
same_architecture(const struct program_file *a, const struct program_file *b)
{
	return a->elf_class == b->elf_class && a->byte_order == b->byte_order
	    && a->machine == b->machine;
}

/*
 * A program of another C library (musl against glibc) has another loader, which cannot
 * load ours. This command was linked with the library's own, so the two names are
 * compared.
 */
static bool
has_our_loader(const struct program_file *program, const char **ours)
{
	static struct program_file self;
	read_program_file("/proc/self/exe", &self);
	*ours = self.loader;
	return !self.has_loader
	    || strcmp(last_component(program->loader), last_component(self.loader)) == 0;
}

static bool
elf_can_preload(const char *path, const struct program_file *program, const char *library,
    char *why, size_t why_size)
{
	static struct program_file wanted;
	read_program_file(library, &wanted);
	if (wanted.kind != FILE_ELF) {
		return refuse(why, why_size, "%s is not a shared library", library);
	}
	if (!same_architecture(program, &wanted)) {
		char its[48], ours[48];
		describe_architecture(program, its, sizeof its);
		describe_architecture(&wanted, ours, sizeof ours);
		return refuse(why, why_size,
		    "%s is a program for another architecture (%s, the library is %s)",
		    path, its, ours);
	}
	if (program->layout_read && !program->has_loader) {
		return refuse(why, why_size,
		    "%s is a static program: no loader runs that could preload "
		    "the library (link libtract.a into it instead)",
		    path);
	}
	const char *ours;
	if (program->has_loader && !has_our_loader(program, &ours)) {
		return refuse(why, why_size,
		    "%s belongs to another C library (its loader is %s, "
		    "the library needs %s)",
		    path, program->loader, ours);
	}
	const char *privilege = privilege_gained(path);
	if (privilege != NULL) {
		return refuse(why, why_size,
		    "%s gains privileges when it starts (%s), and the loader "
		    "then ignores preloaded libraries",
		    path, privilege);
	}
	return true;
}

bool
elf_check_can_preload(const char *program, const char *library, char *why,
    size_t why_size)
{
	static struct program_file file;
	char path[PATH_MAX];
	snprintf(path, sizeof path, "%s", program);
	for (int depth = 0; depth <= SCRIPT_DEPTH_MAX; depth++) {
		read_program_file(path, &file);
		switch (file.kind) {
		case FILE_ELF:
			return elf_can_preload(path, &file, library, why, why_size);
		case FILE_SCRIPT:
			if (access(file.interpreter, X_OK) != 0) {
				return refuse(why, why_size,
				    "the interpreter '%s' of the script %s: %s",
				    file.interpreter, path, strerror(errno));
			}
			snprintf(path, sizeof path, "%s", file.interpreter);
			break;
		case FILE_OTHER: snprintf(path, sizeof path, "/bin/sh"); break;
		case FILE_UNREADABLE:
			/* Execute-only files exist, and the kernel can start them.
			 * Nothing is known. */
			if (file.read_error == EACCES && access(path, X_OK) == 0) {
				return true;
			}
			return refuse(why, why_size, "%s: %s", path,
			    strerror(file.read_error));
		}
	}
	return refuse(why, why_size, "%s: %s", program, strerror(ELOOP));
}
