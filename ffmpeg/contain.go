package ffmpeg

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// Limits bound one run of a program. Zero fields bound nothing. Only Linux knows
// all but Wall.
type Limits struct {
	Memory int64         // bytes of memory of its own
	CPU    time.Duration // of all its threads together
	Wall   time.Duration
	File   int64 // bytes of the largest file that it writes
}

// A Confinement is what runs may touch of the file system: besides the system's
// own programs and libraries, the files that they are to read, and the folders
// that they may write in. It can be extended while runs are under way; those that
// start later have more.
type Confinement struct {
	mu     sync.Mutex
	reads  []string
	writes []string
}

// Read allows to read a file. A nil Confinement takes nothing.
func (c *Confinement) Read(path string) {
	if c != nil && path != "" {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.reads = append(c.reads, path)
	}
}

// Write allows everything in a folder, once it exists. A nil Confinement takes
// nothing.
func (c *Confinement) Write(folder string) {
	if c != nil && folder != "" {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.writes = append(c.writes, folder)
	}
}

// system are the folders that programs are loaded from, and what else any
// program may read.
var system = []string{
	"/usr", "/lib", "/lib32", "/lib64", "/bin", "/opt", "/nix/store", "/run/current-system",
	"/etc/ld.so.cache", "/etc/ld.so.preload", "/etc/localtime", "/etc/fonts", "/etc/OpenCL", "/etc/vulkan",
	"/dev/urandom", "/dev/zero", "/proc/cpuinfo", "/proc/meminfo", "/proc/stat", "/proc/driver/nvidia", "/proc/devices", "/sys/devices", "/sys/class/drm", "/sys/dev/char",
}

// devices may be written to as well: nothing, and graphics cards.
var devices = []string{"/dev/null", "/dev/dri", "/dev/nvidia0", "/dev/nvidia1", "/dev/nvidiactl", "/dev/nvidia-uvm", "/dev/nvidia-uvm-tools", "/dev/nvidia-modeset"}

// places lists what a run of a program may read, and write.
func (c *Confinement) places(program string) (reads, writes []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	reads = append(reads, system...)
	if real, err := filepath.EvalSymlinks(program); err == nil {
		reads = append(reads, filepath.Dir(real))
	}
	reads = append(reads, filepath.SplitList(os.Getenv("LD_LIBRARY_PATH"))...)
	return append(reads, c.reads...), append(append(writes, devices...), c.writes...)
}

// environment is what a child gets to know of this process's: nothing that could
// be a secret.
func environment() (env []string) {
	for _, e := range os.Environ() {
		name, _, _ := strings.Cut(e, "=")
		switch name {
		case "PATH", "LD_LIBRARY_PATH", "HOME", "LANG", "LC_ALL", "TZ", "FONTCONFIG_FILE", "FONTCONFIG_PATH", "SVT_LOG",
			"LIBVA_DRIVER_NAME", "LIBVA_DRIVERS_PATH", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES", "NVIDIA_DRIVER_CAPABILITIES",
			"SystemRoot", "TEMP", "TMP":
			env = append(env, e)
		}
	}
	return env
}
