package ffmpeg

import (
	"os"
	"os/exec"
	"syscall"
)

// ownGroup puts the child into a process group of its own, to be killed if the
// thread that starts it ends.
func ownGroup(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
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
