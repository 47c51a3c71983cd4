// Package static makes the files that Azure Media Services' packager and
// encryptor made: Smooth Streaming files (.ismv, .isma, .ism, .ismc), clear or
// under PlayReady, and HTTP Live Streaming version 3 (.m3u8, .ts), which play
// from any web server; and it tells whether a set of files can be streamed.
//
// A task definition in XML says which; Parse reads it into a Task, and a Task
// makes files of a Set. All of what it writes comes from the formats of package
// packager, so that static files and streams are the same media.
//
// The files of a Smooth set hold one track each, as fragmented MP4 with tfdt and
// edit lists: they play alone, and the origin streams them in every format.
//
// What the package leaves out: where files come from and go to, and what a job
// is.
package static
