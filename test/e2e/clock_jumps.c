/*
 * A wall clock that jumps by up to a year, either way, five times a second. The clock that only goes forward stays.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <pthread.h>
#include <stdint.h>
#include <sys/time.h>
#include <time.h>

#define JUMPS_A_SECOND 5
#define DAY 86400
#define YEAR (365 * DAY)

/* The same for all who look between two jumps. */
static time_t jump(const struct timespec *steady) {
  uint64_t number = steady->tv_sec * JUMPS_A_SECOND + steady->tv_nsec / (1000000000 / JUMPS_A_SECOND);
  return (time_t)((number * 0x9e3779b97f4a7c15u) % (2 * YEAR)) - YEAR;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
  static int (*next)(clockid_t, struct timespec *);
  if (!next) next = dlsym(RTLD_NEXT, "clock_gettime");
  int result = next(clock, now);
  if (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE) return result;
  struct timespec steady;
  next(CLOCK_MONOTONIC, &steady);
  now->tv_sec += jump(&steady);
  return result;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
  struct timespec time;
  (void)zone;
  clock_gettime(CLOCK_REALTIME, &time);
  now->tv_sec = time.tv_sec;
  now->tv_usec = time.tv_nsec / 1000;
  return 0;
}

time_t time(time_t *now) {
  struct timespec found;
  clock_gettime(CLOCK_REALTIME, &found);
  if (now) *now = found.tv_sec;
  return found.tv_sec;
}

/*
 * The system's own clock does not jump: what waits until a moment of this one is told that moment of the other. A moment
 * that was reckoned before a jump is over, as it may be for any who wait on a condition.
 */
int pthread_cond_timedwait(pthread_cond_t *condition, pthread_mutex_t *mutex, const struct timespec *until) {
  struct timespec now, end = *until;
  clock_gettime(CLOCK_REALTIME, &now);
  time_t left = until->tv_sec - now.tv_sec;
  struct timespec steady;
  clock_gettime(CLOCK_MONOTONIC, &steady);
  end.tv_sec = left > DAY || left < 0 ? 0 : until->tv_sec - jump(&steady);
  return pthread_cond_clockwait(condition, mutex, CLOCK_REALTIME, &end);
}
