/* SPDX-License-Identifier: MIT */
/*
 * support -- tables, teams of threads and queues of batches for the workloads.
 *
 * Locking: a queue's lock guards all of its fields and is never held across a call of
 * malloc or free, so that waiting threads measure the library and not the harness.
 */
#include "bench.h"

#include <sys/mman.h>

struct member {
	struct team *team;
	uint32_t id;
};

size_t
run_count(const struct run *run, size_t n)
{
	const double scaled = (double)n * run->scale;

	return scaled >= 1 ? (size_t)scaled : 1;
}

void **
table_new(size_t n)
{
	void *const table = mmap(NULL, n * sizeof(void *), PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (table == MAP_FAILED)
		bench_die("no memory for a table");
	return table;
}

pthread_t
thread_start(void *(*fn)(void *), void *arg)
{
	pthread_t thread;

	if (pthread_create(&thread, NULL, fn, arg) != 0)
		bench_die("pthread_create failed");
	return thread;
}

void
thread_join(pthread_t thread)
{
	if (pthread_join(thread, NULL) != 0)
		bench_die("pthread_join failed");
}

static void *
member_main(void *arg)
{
	const struct member *const member = arg;

	member->team->fn(member->team, member->id);
	return NULL;
}

void
team_run(const struct run *run, uint32_t n, void (*fn)(struct team *, uint32_t),
    void *shared)
{
	struct team team = { .run = run, .fn = fn, .shared = shared, .n = n };
	struct member members[n];
	pthread_t threads[n];

	pthread_barrier_init(&team.barrier, NULL, n);
	for (uint32_t i = 0; i < n; i++) {
		members[i] = (struct member){ &team, i };
		threads[i] = thread_start(member_main, &members[i]);
	}
	for (uint32_t i = 0; i < n; i++)
		thread_join(threads[i]);
	pthread_barrier_destroy(&team.barrier);
}

void
queue_init(struct queue *queue, size_t limit, uint32_t producers)
{
	pthread_mutex_init(&queue->lock, NULL);
	pthread_cond_init(&queue->changed, NULL);
	queue->head = NULL;
	queue->tail = &queue->head;
	queue->count = 0;
	queue->limit = limit;
	queue->producers = producers;
}

void
queue_push(struct queue *queue, struct batch *batch)
{
	batch->next = NULL;
	pthread_mutex_lock(&queue->lock);
	while (queue->count >= queue->limit)
		pthread_cond_wait(&queue->changed, &queue->lock);
	*queue->tail = batch;
	queue->tail = &batch->next;
	if (queue->count++ == 0)
		pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
}

/* Takes the first batch, if any. */
static struct batch *
pop_locked(struct queue *queue)
{
	struct batch *const batch = queue->head;

	if (batch == NULL)
		return NULL;
	queue->head = batch->next;
	if (queue->head == NULL)
		queue->tail = &queue->head;
	if (queue->count-- == queue->limit)
		pthread_cond_broadcast(&queue->changed);
	return batch;
}

struct batch *
queue_pop(struct queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	while (queue->head == NULL && queue->producers > 0)
		pthread_cond_wait(&queue->changed, &queue->lock);
	struct batch *const batch = pop_locked(queue);
	pthread_mutex_unlock(&queue->lock);
	return batch;
}

struct batch *
queue_try_pop(struct queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	struct batch *const batch = pop_locked(queue);
	pthread_mutex_unlock(&queue->lock);
	return batch;
}

void
queue_close(struct queue *queue)
{
	pthread_mutex_lock(&queue->lock);
	queue->producers--;
	pthread_cond_broadcast(&queue->changed);
	pthread_mutex_unlock(&queue->lock);
}

struct batch *
batch_new(size_t capacity)
{
	struct batch *const batch = malloc(sizeof(*batch) + capacity * sizeof(void *));

	if (batch == NULL)
		bench_die("malloc returned NULL");
	batch->n = 0;
	return batch;
}

void
batch_drop(struct batch *batch)
{
	for (size_t i = 0; i < batch->n; i++)
		drop(batch->blocks[i]);
	free(batch);
}
