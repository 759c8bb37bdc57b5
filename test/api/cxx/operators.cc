/* SPDX-License-Identifier: MIT */
/*
 * operators -- what the C++ operators promise, run on the library by test/api/cxx.sh.
 *
 * argv[1], if given, is part of the name of the file that must provide the operators.  With
 * REPLACED defined the program has an operator new and delete of its own, which put a header
 * before each object.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <dlfcn.h>
#include <memory>
#include <new>
#include <stdexcept>
#include <string>
#include <vector>

static int n_failed;

#define CHECK(e) \
	((e) ? (void)0 : (void)(n_failed++, std::printf("# %s:%d: %s\n", __FILE__, __LINE__, #e)))

/* More than any address space has, yet no size that is refused at once by the compiler. */
static std::size_t volatile huge = static_cast<std::size_t>(PTRDIFF_MAX) - 4096;

#ifdef REPLACED
static int n_own_new, n_own_delete;
static const std::uint64_t magic = 0x1122334455667788;

void *
operator new(std::size_t size)
{
	n_own_new++;
	std::uint64_t *p = size > huge ? nullptr
				       : static_cast<std::uint64_t *>(std::malloc(size + 16));
	if (p == nullptr)
		throw std::bad_alloc();
	p[0] = magic;
	return p + 2;
}

void
operator delete(void *p) noexcept
{
	if (p == nullptr)
		return;
	std::uint64_t *header = static_cast<std::uint64_t *>(p) - 2;
	CHECK(header[0] == magic);
	n_own_delete++;
	std::free(header);
}
#endif

struct alignas(256) wide {
	char bytes[300];
};

struct thing {
	~thing() { n_destroyed++; }
	static int n_destroyed;
	int value;
};
int thing::n_destroyed;

static void
every_form_allocates_and_frees()
{
	int *one = new int(7);
	CHECK(*one == 7);
	delete one;
	thing *things = new thing[10];
	delete[] things;
	CHECK(thing::n_destroyed == 10);

	wide *w = new wide;
	CHECK(reinterpret_cast<std::uintptr_t>(w) % 256 == 0);
	delete w;
	w = new wide[3];
	CHECK(reinterpret_cast<std::uintptr_t>(w) % 256 == 0);
	delete[] w;
	w = new (std::nothrow) wide;
	CHECK(w != nullptr && reinterpret_cast<std::uintptr_t>(w) % 256 == 0);
	operator delete(w, std::align_val_t(256), std::nothrow);
	w = new (std::nothrow) wide[2];
	CHECK(w != nullptr);
	operator delete[](w, std::align_val_t(256), std::nothrow);

	void *p = operator new(0);
	void *q = operator new(0);
	CHECK(p != nullptr && q != nullptr && p != q);
	operator delete(p);
	operator delete(q);
	p = operator new(100, std::nothrow);
	std::memset(p, 1, 100);
	operator delete(p, std::nothrow);
	p = operator new[](100, std::nothrow);
	operator delete[](p, std::nothrow);
	operator delete(operator new(100), std::size_t(100));
	operator delete[](operator new[](100), std::size_t(100));
	operator delete(operator new(100, std::align_val_t(64)), 100, std::align_val_t(64));
	operator delete[](operator new[](100, std::align_val_t(64)), 100, std::align_val_t(64));
	operator delete(static_cast<void *>(nullptr));
	operator delete[](static_cast<void *>(nullptr));
	operator delete(static_cast<void *>(nullptr), std::size_t(8));

	std::vector<std::string> strings;
	for (int i = 0; i < 10000; i++)
		strings.push_back(std::string(static_cast<std::size_t>(i % 300), 'x'));
	CHECK(strings[299].size() == 299);
}

template <typename F>
static bool
throws_bad_alloc(F f)
{
	try {
		f();
	} catch (const std::bad_alloc &) {
		return true;
	}
	return false;
}

static void *volatile sink;

static void
failure_throws_or_returns_null()
{
	CHECK(throws_bad_alloc([] { sink = operator new(huge); }));
	CHECK(throws_bad_alloc([] { sink = operator new[](huge); }));
	CHECK(throws_bad_alloc([] { sink = operator new(huge, std::align_val_t(64)); }));
	CHECK(throws_bad_alloc([] { sink = operator new[](huge, std::align_val_t(64)); }));
	CHECK(operator new(huge, std::nothrow) == nullptr);
	CHECK(operator new[](huge, std::nothrow) == nullptr);
	CHECK(operator new(huge, std::align_val_t(64), std::nothrow) == nullptr);
	CHECK(operator new[](huge, std::align_val_t(64), std::nothrow) == nullptr);
}

#ifndef REPLACED
static int n_calls;

static void
give_up_after_three()
{
	if (++n_calls == 3)
		std::set_new_handler(nullptr);
}

static void
throw_bad_alloc()
{
	n_calls++;
	throw std::bad_alloc();
}

static void
throw_something()
{
	throw std::runtime_error("from the handler");
}

static void
the_handler_is_called_until_it_gives_up()
{
	n_calls = 0;
	std::set_new_handler(give_up_after_three);
	CHECK(throws_bad_alloc([] { sink = operator new(huge); }));
	CHECK(n_calls == 3);

	n_calls = 0;
	std::set_new_handler(give_up_after_three);
	CHECK(operator new(huge, std::nothrow) == nullptr);
	CHECK(n_calls == 3);

	n_calls = 0;
	std::set_new_handler(give_up_after_three);
	CHECK(operator new(huge, std::align_val_t(128), std::nothrow) == nullptr);
	CHECK(n_calls == 3);
}

static void
an_exception_of_the_handler_passes_through()
{
	std::set_new_handler(throw_something);
	bool caught = false;
	try {
		sink = operator new(huge);
	} catch (const std::runtime_error &) {
		caught = true;
	}
	CHECK(caught);
	std::set_new_handler(nullptr);
}

static void
a_throwing_handler_makes_nothrow_return_null()
{
	n_calls = 0;
	std::set_new_handler(throw_bad_alloc);
	CHECK(operator new(huge, std::nothrow) == nullptr);
	CHECK(operator new[](huge, std::nothrow) == nullptr);
	CHECK(operator new(huge, std::align_val_t(64), std::nothrow) == nullptr);
	CHECK(n_calls == 3);
	std::set_new_handler(nullptr);
}
#endif

static void
they_are_the_librarys(const char *file)
{
	typedef void *operator_new(std::size_t);
	typedef void operator_delete(void *, std::size_t) noexcept;
	operator_new *a = operator new[];
	operator_delete *b = operator delete;
	Dl_info info;

	CHECK(dladdr(reinterpret_cast<void *>(a), &info) != 0 && strstr(info.dli_fname, file));
	CHECK(dladdr(reinterpret_cast<void *>(b), &info) != 0 && strstr(info.dli_fname, file));
}

int
main(int argc, char **argv)
{
	if (argc > 1)
		they_are_the_librarys(argv[1]);
	every_form_allocates_and_frees();
	failure_throws_or_returns_null();
#ifdef REPLACED
	CHECK(n_own_new > 100 && n_own_new >= n_own_delete);
#else
	the_handler_is_called_until_it_gives_up();
	an_exception_of_the_handler_passes_through();
	a_throwing_handler_makes_nothrow_return_null();
#endif
	return n_failed != 0;
}
