// Package ffmpeg runs ffmpeg and ffprobe for the encoder and for whoever needs
// to know what a media file holds: arguments in; progress, a probe result or an
// error out. It knows no preset, no asset and no job. Do runs other programs, from
// whoever runs the server, in the same way.
//
// # Containment
//
//   - No shell: arguments reach the program as they are.
//   - Input opens local files only (protocols file and pipe), and only by
//     demuxers that read nothing but that file: a playlist or a concat script
//     that names other files is refused as not being media.
//   - A child runs in a process group of its own. It is killed when the context
//     ends and, on Linux, when this process dies, however that happens.
//   - A run in which nothing moves any more is killed after Tools.Stall, one that
//     reaches Tools.Limits at once: memory, processor time, time, size of files.
//   - On Linux, a child cannot gain privileges, and where the machine allows user
//     namespaces it has none to begin with, and no network. Where the kernel has
//     Landlock, it can open no files but those of Tools.Confine.
//   - Of this process's environment a child gets a few harmless variables.
//   - What a child prints is read to the end but kept only in part.
package ffmpeg
