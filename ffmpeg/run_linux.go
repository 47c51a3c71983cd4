package ffmpeg

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// ownGroup puts the child into a process group of its own, to be killed if the
// thread that starts it ends. Apart, it also has namespaces of its own: of users,
// in which it is nobody and may do nothing but what its owner's files allow, and
// of the network, in which there is none.
func ownGroup(cmd *exec.Cmd, apart bool) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if apart {
		cmd.SysProcAttr.Cloneflags = syscall.CLONE_NEWUSER | syscall.CLONE_NEWNET | syscall.CLONE_NEWIPC
	}
}

func firstThread() bool { return unix.Gettid() == unix.Getpid() }

// refused reports whether a child could not be started because this machine,
// or the container around, allows it no namespaces.
func refused(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EINVAL) || errors.Is(err, unix.EUSERS)
}

// killGroup kills the child and everything it started.
func killGroup(p *os.Process) error {
	if err := syscall.Kill(-p.Pid, syscall.SIGKILL); err == nil {
		return nil
	}
	return os.ErrProcessDone
}

// lower adds n to the niceness of the child. It is a wish: a failure changes
// nothing that matters.
func lower(p *os.Process, n int) { syscall.Setpriority(syscall.PRIO_PGRP, p.Pid, n) }

// limit bounds a child that has just started.
func limit(p *os.Process, l Limits) error {
	set := func(resource int, n int64) error {
		if n <= 0 {
			return nil
		}
		return unix.Prlimit(p.Pid, resource, &unix.Rlimit{Cur: uint64(n), Max: uint64(n)}, nil)
	}
	return errors.Join(
		unix.Prlimit(p.Pid, unix.RLIMIT_CORE, &unix.Rlimit{}, nil),
		set(unix.RLIMIT_DATA, l.Memory),
		set(unix.RLIMIT_CPU, int64((l.CPU+time.Second-1)/time.Second)),
		set(unix.RLIMIT_FSIZE, l.File),
	)
}

// restrict takes from this thread, and so from the children that it starts, the
// right to gain privileges and, if c is not nil and the kernel has Landlock, to
// touch files that c does not name.
func restrict(c *Confinement, program string) error {
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return fmt.Errorf("set no_new_privs: %w", err)
	}
	abi := landlock()
	if c == nil || abi == 0 {
		return nil
	}
	const (
		read = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_READ_DIR
		of   = unix.LANDLOCK_ACCESS_FS_EXECUTE | unix.LANDLOCK_ACCESS_FS_READ_FILE | unix.LANDLOCK_ACCESS_FS_WRITE_FILE | unix.LANDLOCK_ACCESS_FS_TRUNCATE // what a file can have
	)
	all := uint64(unix.LANDLOCK_ACCESS_FS_MAKE_SYM<<1 - 1)
	if abi >= 2 {
		all |= unix.LANDLOCK_ACCESS_FS_REFER
	}
	if abi >= 3 {
		all |= unix.LANDLOCK_ACCESS_FS_TRUNCATE
	}
	rules := unix.LandlockRulesetAttr{Handled_access_fs: all}
	set, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, uintptr(unsafe.Pointer(&rules)), unsafe.Sizeof(rules.Handled_access_fs), 0)
	if errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	defer unix.Close(int(set))
	allow := func(path string, access uint64) error {
		fd, err := unix.Open(path, unix.O_PATH|unix.O_CLOEXEC, 0)
		if err != nil {
			return nil // what is not there needs no leave
		}
		defer unix.Close(fd)
		var stat unix.Stat_t
		if err := unix.Fstat(fd, &stat); err != nil {
			return err
		}
		if stat.Mode&unix.S_IFMT != unix.S_IFDIR {
			access &= of
		}
		rule := unix.LandlockPathBeneathAttr{Allowed_access: access & all, Parent_fd: int32(fd)}
		if _, _, errno := unix.Syscall6(unix.SYS_LANDLOCK_ADD_RULE, set, unix.LANDLOCK_RULE_PATH_BENEATH, uintptr(unsafe.Pointer(&rule)), 0, 0, 0); errno != 0 {
			return fmt.Errorf("landlock: %s: %w", path, errno)
		}
		return nil
	}
	reads, writes := c.places(program)
	for _, p := range reads {
		if err := allow(p, read); err != nil {
			return err
		}
	}
	for _, p := range writes {
		if err := allow(p, all); err != nil {
			return err
		}
	}
	if _, _, errno := unix.Syscall(unix.SYS_LANDLOCK_RESTRICT_SELF, set, 0, 0); errno != 0 {
		return fmt.Errorf("landlock: %w", errno)
	}
	return nil
}

// landlock is the version of the kernel's Landlock, 0 if it has none.
func landlock() int {
	abi, _, errno := unix.Syscall(unix.SYS_LANDLOCK_CREATE_RULESET, 0, 0, unix.LANDLOCK_CREATE_RULESET_VERSION)
	if errno != 0 {
		return 0
	}
	return int(abi)
}

// memory is how much this machine has, bytes; 0 if that is unknown.
func memory() int64 {
	var info unix.Sysinfo_t
	if err := unix.Sysinfo(&info); err != nil {
		return 0
	}
	return int64(info.Totalram) * int64(info.Unit)
}
