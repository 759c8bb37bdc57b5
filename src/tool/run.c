/* SPDX-License-Identifier: MIT */
#include "tool/run.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tool/elf_check.h"
#include "tool/report.h"
#include "tool/summary.h"
#include "tool/tool.h"
#include "tract_config.h"

struct run_request {
	char *options; /* "k:v,k:v" of every -o, or NULL.  Owned, until exit. */
	bool wants_summary;
	const char *report;  /* Letters of the report that is wanted, or NULL. */
	char **argv;         /* The command's, NULL-terminated. */
	char path[PATH_MAX]; /* The file that argv[0] means. */
};

/* Signals that end a program by default and that somebody may send to us instead of to
 * it. */
static const int passed_on[] = { SIGTERM, SIGHUP, SIGUSR1, SIGUSR2 };
#define PASSED_ON_COUNT (sizeof passed_on / sizeof passed_on[0])

static volatile sig_atomic_t
    command_pid; /* Written once, while the signals above are blocked. */

/*
 * "a" and "b" give "a<between>b"; an empty or missing one leaves the other alone.  The
 * caller owns the result.
 */
static char *
joined(const char *a, char between, const char *b)
{
	a = a != NULL ? a : "";
	b = b != NULL ? b : "";
	const size_t size = strlen(a) + strlen(b) + 2;
	char *text = malloc(size);
	if (text == NULL) {
		tool_error("out of memory");
		exit(TOOL_FAILED);
	}
	const char separator[2] = { *a != '\0' && *b != '\0' ? between : '\0', '\0' };
	snprintf(text, size, "%s%s%s", a, separator, b);
	return text;
}

/* Takes ownership of `value'. */
static bool
set_variable(const char *name, char *value)
{
	const bool done = setenv(name, value, 1) == 0;
	if (!done) {
		tool_error("cannot set %s: %s", name, strerror(errno));
	}
	free(value);
	return done;
}

static bool
add_option(struct run_request *request, const char *pair)
{
	const char *colon = strchr(pair, ':');
	if (colon == NULL || colon == pair) {
		tool_error("'-o %s': an option is KEY:VALUE, for example -o narenas:1",
		    pair);
		return false;
	}
	char *all = joined(request->options, ',', pair);
	free(request->options);
	request->options = all;
	return true;
}

static bool
set_report(struct run_request *request, const char *form)
{
	request->report = report_letters(form != NULL ? form : "human");
	if (request->report == NULL) {
		tool_error("'--report=%s': a form is " REPORT_FORMS, form);
	}
	return request->report != NULL;
}

static bool
parse_arguments(int argc, char **argv, struct run_request *request)
{
	static const struct option long_options[] = {
		{ "option", required_argument, NULL, 'o' },
		{ "summary", no_argument, NULL, 's' },
		{ "report", optional_argument, NULL, 'r' },
		{ "help", no_argument, NULL, 'h' },
		{ NULL, 0, NULL, 0 },
	};
	opterr = 0;
	for (int c; (c = getopt_long(argc, argv, "+:o:", long_options, NULL)) != -1;) {
		switch (c) {
		case 'o':
			if (!add_option(request, optarg)) {
				return false;
			}
			break;
		case 's': request->wants_summary = true; break;
		case 'r':
			if (!set_report(request, optarg)) {
				return false;
			}
			break;
		case 'h': puts("usage: " RUN_USAGE); exit(EXIT_SUCCESS);
		case ':':
			tool_error("run: option '%s' needs a value", argv[optind - 1]);
			return false;
		default:
			tool_error("run: unknown option '%s'\nusage: " RUN_USAGE,
			    argv[optind - 1]);
			return false;
		}
	}
	if (optind == argc) {
		tool_error("run: which command?\nusage: " RUN_USAGE);
		return false;
	}
	request->argv = argv + optind;
	return true;
}

static int
check_executable(const char *path)
{
	struct stat st;
	if (stat(path, &st) != 0) {
		return errno;
	}
	if (S_ISDIR(st.st_mode)) {
		return EISDIR;
	}
	return access(path, X_OK) == 0 ? 0 : errno;
}

/* As execvp searches: the first executable file in PATH.  0, or the errno to report. */
static int
find_command(const char *name, char *path, size_t size)
{
	if (strchr(name, '/') != NULL) {
		snprintf(path, size, "%s", name);
		return check_executable(path);
	}
	const char *list = getenv("PATH");
	if (list == NULL) {
		list = "/bin:/usr/bin";
	}
	int error = ENOENT;
	for (const char *dir = list;; dir++) {
		const size_t length = strcspn(dir, ":");
		const int needed = length == 0
		    ? snprintf(path, size, "./%s", name)
		    : snprintf(path, size, "%.*s/%s", (int)length, dir, name);
		if (needed > 0 && (size_t)needed < size) {
			const int found = check_executable(path);
			if (found == 0) {
				return 0;
			}
			error = found == EACCES ? EACCES : error;
		}
		dir += length;
		if (*dir == '\0') {
			return error;
		}
	}
}

/*
 * Put the library and the options into the environment that the command will get.  What
 * stands there stays: our library goes before others, since to the loader the first
 * counts, and our options go after others, since to the allocator the last counts.
 */
static bool
prepare_environment(const struct run_request *request, const char *library)
{
	if (strpbrk(library, " :") != NULL) {
		tool_error("the loader cannot preload '%s': LD_PRELOAD has no way to "
			   "write a path with "
			   "a space or a colon; move or install the library elsewhere",
		    library);
		return false;
	}
	if (!set_variable("LD_PRELOAD", joined(library, ':', getenv("LD_PRELOAD")))) {
		return false;
	}
	return request->options == NULL
	    || set_variable(CONFIG_CONF_ENV,
		joined(getenv(CONFIG_CONF_ENV), ',', request->options));
}

/* Execute the command in this process.  Returns only if it cannot be, with the exit
 * status. */
static int
execute(const struct run_request *request)
{
	execv(request->path, request->argv);
	if (errno == ENOEXEC) {
		/* No header that the kernel knows: the shell runs it, as execvp would
		 * have it. */
		size_t count = 0;
		while (request->argv[count] != NULL) {
			count++;
		}
		char **shell_argv = calloc(count + 2, sizeof *shell_argv);
		if (shell_argv != NULL) {
			shell_argv[0] = "sh";
			shell_argv[1] = (char *)request->path;
			memcpy(shell_argv + 2, request->argv + 1,
			    count * sizeof *shell_argv);
			execv("/bin/sh", shell_argv);
		}
	}
	tool_error("%s: %s", request->path, strerror(errno));
	return errno == ENOENT ? TOOL_NOT_FOUND : TOOL_CANNOT_RUN;
}

static void
pass_on(int number)
{
	const int saved = errno;
	kill((pid_t)command_pid, number);
	errno = saved;
}

/*
 * The terminal's keys reach the command without our help; like time(1) we only must not
 * die of them before it does.
 */
static void
become_parent(pid_t pid, const sigset_t *old_mask)
{
	command_pid = (sig_atomic_t)pid;
	struct sigaction action = { .sa_handler = pass_on, .sa_flags = SA_RESTART };
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < PASSED_ON_COUNT; i++) {
		sigaction(passed_on[i], &action, NULL);
	}
	signal(SIGINT, SIG_IGN);
	signal(SIGQUIT, SIG_IGN);
	sigprocmask(SIG_SETMASK, old_mask, NULL);
}

/* In this process's child: become the command. */
static _Noreturn void
execute_as_child(const struct run_request *request, int report_fd)
{
	if (report_fd >= 0) {
		report_announce(report_fd, request->report);
	}
	_exit(execute(request));
}

/* What was asked for about a command that has ended. */
static void
tell(const struct run_request *request, const struct summary *summary, int report_fd)
{
	if (request->wants_summary) {
		summary_print(summary);
	}
	if (report_fd >= 0) {
		report_print_file(report_fd);
	}
}

static int
execute_as_parent(const struct run_request *request)
{
	struct summary summary = {
		.command = request->argv[0],
		.figures_fd = request->wants_summary ? summary_open() : -1,
	};
	const int report_fd = request->report != NULL ? report_open() : -1;
	if (request->report != NULL && report_fd < 0) {
		tool_error("cannot make a file for the report: %s", strerror(errno));
	}
	sigset_t blocked, old_mask;
	sigemptyset(&blocked);
	sigaddset(&blocked, SIGINT);
	sigaddset(&blocked, SIGQUIT);
	for (size_t i = 0; i < PASSED_ON_COUNT; i++) {
		sigaddset(&blocked, passed_on[i]);
	}
	sigprocmask(SIG_BLOCK, &blocked, &old_mask);
	clock_gettime(CLOCK_MONOTONIC, &summary.started);
	summary.pid = fork();
	if (summary.pid < 0) {
		tool_error("cannot start a process: %s", strerror(errno));
		return TOOL_FAILED;
	}
	if (summary.pid == 0) {
		sigprocmask(SIG_SETMASK, &old_mask, NULL);
		execute_as_child(request, report_fd);
	}
	become_parent(summary.pid, &old_mask);
	while (wait4(summary.pid, &summary.wait_status, 0, &summary.usage) < 0) {
		if (errno != EINTR) {
			tool_error("lost the command: %s", strerror(errno));
			return TOOL_FAILED;
		}
	}
	clock_gettime(CLOCK_MONOTONIC, &summary.ended);
	tell(request, &summary, report_fd);
	return WIFSIGNALED(summary.wait_status)
	    ? TOOL_SIGNAL_BASE + WTERMSIG(summary.wait_status)
	    : WEXITSTATUS(summary.wait_status);
}

int
run_main(int argc, char **argv)
{
	static struct run_request request;
	if (!parse_arguments(argc, argv, &request)) {
		return TOOL_FAILED;
	}
	if (sizeof CONFIG_PUBLIC_PREFIX > 1) {
		tool_error(
		    "this library was built with the prefix '%s' and replaces no malloc",
		    CONFIG_PUBLIC_PREFIX);
		return TOOL_FAILED;
	}
	char library[PATH_MAX], tried[2 * PATH_MAX];
	if (!tool_find_library(library, sizeof library, tried, sizeof tried)) {
		tool_error("cannot find the library; tried %s", tried);
		return TOOL_FAILED;
	}
	const int error =
	    find_command(request.argv[0], request.path, sizeof request.path);
	if (error != 0) {
		tool_error("%s: %s", request.argv[0],
		    error == ENOENT ? "command not found" : strerror(error));
		return error == ENOENT ? TOOL_NOT_FOUND : TOOL_CANNOT_RUN;
	}
	char why[3 * PATH_MAX];
	if (!elf_check_can_preload(request.path, library, why, sizeof why)) {
		tool_error("%s", why);
		return TOOL_CANNOT_RUN;
	}
	if (!prepare_environment(&request, library)) {
		return TOOL_FAILED;
	}
	return request.wants_summary || request.report != NULL
	    ? execute_as_parent(&request)
	    : execute(&request);
}
