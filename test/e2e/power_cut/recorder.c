/*
 * Writes down what a program does to the files of one folder, and what it sends to sockets, in the order in which it
 * happens. Preloaded (LD_PRELOAD) into the server; recording.ts reads the log.
 *
 *     log   = { entry }                                              integers are little-endian
 *     entry = kind:u8 pathBytes:u24 payloadBytes:u32 number:u64 path payload
 *
 * Writes and opens are caught where they enter the kernel, since Bun makes these calls past the C library: a filter has
 * the kernel signal them, unless they come from here, and the handler of the signal does what was asked for. All else is
 * caught as a function of the C library.
 *
 * RECORDER_FOLDER is the folder, RECORDER_LOG the log. An entry is written before what it tells of is done, and both
 * under one lock, so the log is the order of things and at most one entry ahead of them. A sync is two entries, since
 * others go on meanwhile; what a failed call would have done is not written down.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <ucontext.h>
#include <unistd.h>

enum { WRITE = 1, TRUNCATE, SYNC_BEGUN, SYNCED, CREATE, UNLINK, RENAME, MKDIR, RMDIR, SEND };

#define PATH_SIZE 4096
#define NEXT(name) ({ static __typeof__(&name) next; if (!next) next = dlsym(RTLD_NEXT, #name); next; })

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int log_handle = -1;
static char folder[PATH_SIZE];
static size_t folder_length;
static uint64_t last_sync;

static void note(int kind, const char *path, uint64_t number, const void *payload, size_t bytes) {
  uint64_t head[2] = {(uint64_t)kind | (uint64_t)strlen(path) << 8 | (uint64_t)bytes << 32, number};
  struct iovec parts[3] = {{head, sizeof head}, {(void *)path, strlen(path)}, {(void *)payload, bytes}};
  size_t all = sizeof head + strlen(path) + bytes;
  if (syscall(SYS_writev, log_handle, parts, 3) != (ssize_t)all) abort();
}

/* The path within the folder, or NULL for what is not recorded. */
static const char *within(const char *path) {
  if (log_handle < 0 || strncmp(path, folder, folder_length) != 0) return NULL;
  if (path[folder_length] != '/' && path[folder_length] != 0) return NULL;
  size_t length = strlen(path);
  if (length > 4 && strcmp(path + length - 4, "-shm") == 0) return NULL;
  if (length > 10 && strcmp(path + length - 10, " (deleted)") == 0) return NULL;
  return path;
}

static const char *path_of(int handle, char *buffer) {
  char link[64];
  if (log_handle < 0) return NULL;
  snprintf(link, sizeof link, "/proc/self/fd/%d", handle);
  ssize_t length = readlink(link, buffer, PATH_SIZE - 1);
  if (length < 0) return NULL;
  buffer[length] = 0;
  return within(buffer);
}

static const char *path_at(int directory, const char *path, char *buffer) {
  char base[PATH_SIZE];
  if (log_handle < 0) return NULL;
  if (path[0] == '/') return within(path);
  if (directory == AT_FDCWD) { if (!getcwd(base, sizeof base)) return NULL; }
  else if (!path_of(directory, base)) return NULL;
  if (snprintf(buffer, PATH_SIZE, "%s/%s", base, path) >= PATH_SIZE) return NULL;
  return within(buffer);
}

#define RECORDED(path, entry, call) ({                        \
    pthread_mutex_lock(&lock);                                \
    if (path) entry;                                          \
    __typeof__(call) result = call;                           \
    pthread_mutex_unlock(&lock);                              \
    result; })

/* A call to the kernel that the filter lets through, by the address behind it. */
long kernel_call(long number, long a, long b, long c, long d, long e, long f);
extern const char kernel_call_end[];
#if defined(__x86_64__)
#define ARCHITECTURE AUDIT_ARCH_X86_64
__asm__(".text\n.globl kernel_call\nkernel_call:\n"
        "mov %rdi,%rax\nmov %rsi,%rdi\nmov %rdx,%rsi\nmov %rcx,%rdx\nmov %r8,%r10\nmov %r9,%r8\nmov 8(%rsp),%r9\n"
        "syscall\n.globl kernel_call_end\nkernel_call_end:\nret\n");
#define ARGUMENT(context, index) ((context)->uc_mcontext.gregs[(const int[]){REG_RDI, REG_RSI, REG_RDX, REG_R10}[index]])
#define RESULT(context) ((context)->uc_mcontext.gregs[REG_RAX])
#elif defined(__aarch64__)
#define ARCHITECTURE AUDIT_ARCH_AARCH64
__asm__(".text\n.globl kernel_call\nkernel_call:\n"
        "mov x8,x0\nmov x0,x1\nmov x1,x2\nmov x2,x3\nmov x3,x4\nmov x4,x5\nmov x5,x6\n"
        "svc #0\n.globl kernel_call_end\nkernel_call_end:\nret\n");
#define ARGUMENT(context, index) ((context)->uc_mcontext.regs[index])
#define RESULT(context) ((context)->uc_mcontext.regs[0])
#else
#error "the recorder knows neither the registers of this machine nor how it enters the kernel"
#endif

static long record_write(int call, int handle, const void *bytes, size_t size, off_t offset) {
  char buffer[PATH_SIZE];
  const char *path = path_of(handle, buffer);
  if (!path) return kernel_call(call, handle, (long)bytes, size, offset, 0, 0);
  int flags = fcntl(handle, F_GETFL);
  if (call == SYS_write) offset = lseek(handle, 0, flags & O_APPEND ? SEEK_END : SEEK_CUR);
  pthread_mutex_lock(&lock);
  note(WRITE, path, offset, bytes, size);
  uint64_t number = ++last_sync;
  /* Through such a descriptor a write is a sync, too. */
  int is_synced = (flags & O_DSYNC) != 0;
  if (is_synced) note(SYNC_BEGUN, path, number, "", 0);
  long result = kernel_call(call, handle, (long)bytes, size, offset, 0, 0);
  if (is_synced && result == (long)size) note(SYNCED, path, number, "", 0);
  pthread_mutex_unlock(&lock);
  return result;
}

static long record_open(int directory, const char *path, int flags, mode_t mode) {
  char buffer[PATH_SIZE];
  const char *full = flags & (O_CREAT | O_TRUNC) ? path_at(directory, path, buffer) : NULL;
  if (!full) return kernel_call(SYS_openat, directory, (long)path, flags, mode, 0, 0);
  pthread_mutex_lock(&lock);
  int is_new = faccessat(AT_FDCWD, full, F_OK, 0) != 0;
  long handle = kernel_call(SYS_openat, directory, (long)path, flags, mode, 0, 0);
  if (handle >= 0 && is_new) note(CREATE, full, 0, "", 0);
  else if (handle >= 0 && flags & O_TRUNC) note(TRUNCATE, full, 0, "", 0);
  pthread_mutex_unlock(&lock);
  return handle;
}

static void called(int signal, siginfo_t *info, void *data) {
  ucontext_t *context = data;
  int known_error = errno;
  long a = ARGUMENT(context, 0), b = ARGUMENT(context, 1), c = ARGUMENT(context, 2), d = ARGUMENT(context, 3);
  (void)signal;
  if (info->si_syscall == SYS_openat) RESULT(context) = record_open(a, (const char *)b, c, d);
#ifdef SYS_open
  else if (info->si_syscall == SYS_open) RESULT(context) = record_open(AT_FDCWD, (const char *)a, b, c);
#endif
  else RESULT(context) = record_write(info->si_syscall, a, (const void *)b, c, d);
  errno = known_error;
}

#define FIELD(name) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, name))
#define HALF(name, high) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, name) + (high ? 4 : 0))
#define UNLESS(value, skipped) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, 0, skipped)
#define IF(value, skipped) BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, value, skipped, 0)
#define END(action) BPF_STMT(BPF_RET | BPF_K, action)

/* Bun would answer the signal itself: it takes it for a kernel that does not know the call. */
int sigaction(int signal, const struct sigaction *action, struct sigaction *before) {
  return signal == SIGSYS && action ? 0 : NEXT(sigaction)(signal, action, before);
}

static void catch_calls(void) {
  uint64_t own = (uint64_t)kernel_call_end;
  struct sock_filter filter[] = {
      FIELD(arch), UNLESS(ARCHITECTURE, 9),
      HALF(instruction_pointer, 0), UNLESS((uint32_t)own, 2),
      HALF(instruction_pointer, 1), IF((uint32_t)(own >> 32), 5),
      FIELD(nr), IF(SYS_write, 4), IF(SYS_pwrite64, 3), IF(SYS_openat, 2),
#ifdef SYS_open
      IF(SYS_open, 1),
#else
      IF(SYS_openat, 1),
#endif
      END(SECCOMP_RET_ALLOW), END(SECCOMP_RET_TRAP)};
  struct sock_fprog program = {sizeof filter / sizeof *filter, filter};
  struct sigaction action = {.sa_sigaction = called, .sa_flags = SA_SIGINFO | SA_NODEFER};
  if (NEXT(sigaction)(SIGSYS, &action, NULL) != 0) abort();
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0) abort();
  if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program, 0, 0) != 0) abort();
}

__attribute__((constructor)) static void begin(void) {
  const char *log = getenv("RECORDER_LOG"), *root = getenv("RECORDER_FOLDER");
  if (!log || !root) return;
  snprintf(folder, sizeof folder, "%s", root);
  folder_length = strlen(folder);
  log_handle = syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  /* The server's own programs, of which there are none, would be recorded into the same log. */
  unsetenv("LD_PRELOAD");
  catch_calls();
}

static int truncate_to(int handle, off_t size) {
  char buffer[PATH_SIZE];
  const char *path = path_of(handle, buffer);
  int (*next)(int, off_t) = NEXT(ftruncate64);
  return RECORDED(path, note(TRUNCATE, path, size, "", 0), next(handle, size));
}
int ftruncate64(int handle, off_t size) { return truncate_to(handle, size); }
int ftruncate(int handle, off_t size) { return truncate_to(handle, size); }

static int sync_with(int handle, int (*next)(int)) {
  char buffer[PATH_SIZE];
  const char *path = path_of(handle, buffer);
  if (!path) return next(handle);
  pthread_mutex_lock(&lock);
  uint64_t number = ++last_sync;
  note(SYNC_BEGUN, path, number, "", 0);
  pthread_mutex_unlock(&lock);
  int result = next(handle);
  pthread_mutex_lock(&lock);
  if (result == 0) note(SYNCED, path, number, "", 0);
  pthread_mutex_unlock(&lock);
  return result;
}
int fsync(int handle) { return sync_with(handle, NEXT(fsync)); }
int fdatasync(int handle) { return sync_with(handle, NEXT(fdatasync)); }

int unlinkat(int directory, const char *path, int flags) {
  char buffer[PATH_SIZE];
  const char *full = path_at(directory, path, buffer);
  int (*next)(int, const char *, int) = NEXT(unlinkat);
  if (full && faccessat(AT_FDCWD, full, F_OK, 0) != 0) full = NULL;
  return RECORDED(full, note(flags & AT_REMOVEDIR ? RMDIR : UNLINK, full, 0, "", 0), next(directory, path, flags));
}
int unlink(const char *path) { return unlinkat(AT_FDCWD, path, 0); }
int rmdir(const char *path) { return unlinkat(AT_FDCWD, path, AT_REMOVEDIR); }

int mkdirat(int directory, const char *path, mode_t mode) {
  char buffer[PATH_SIZE];
  const char *full = path_at(directory, path, buffer);
  int (*next)(int, const char *, mode_t) = NEXT(mkdirat);
  if (full && faccessat(AT_FDCWD, full, F_OK, 0) == 0) full = NULL;
  return RECORDED(full, note(MKDIR, full, 0, "", 0), next(directory, path, mode));
}
int mkdir(const char *path, mode_t mode) { return mkdirat(AT_FDCWD, path, mode); }

int renameat(int from_directory, const char *from, int to_directory, const char *to) {
  char buffer[PATH_SIZE], other[PATH_SIZE];
  const char *source = path_at(from_directory, from, buffer), *target = path_at(to_directory, to, other);
  int (*next)(int, const char *, int, const char *) = NEXT(renameat);
  if (!target) source = NULL;
  return RECORDED(source, note(RENAME, source, 0, target, strlen(target)), next(from_directory, from, to_directory, to));
}
int rename(const char *from, const char *to) { return renameat(AT_FDCWD, from, AT_FDCWD, to); }

/* Noted before: what is promised to a client counts from here. */
static void note_send(const void *bytes, size_t size) {
  if (log_handle < 0) return;
  pthread_mutex_lock(&lock);
  note(SEND, "", 0, bytes, size);
  pthread_mutex_unlock(&lock);
}
ssize_t send(int handle, const void *bytes, size_t size, int flags) {
  note_send(bytes, size);
  return NEXT(send)(handle, bytes, size, flags);
}
ssize_t sendto(int handle, const void *bytes, size_t size, int flags, const struct sockaddr *to, socklen_t to_size) {
  note_send(bytes, size);
  return NEXT(sendto)(handle, bytes, size, flags, to, to_size);
}
