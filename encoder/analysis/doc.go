// Package analysis turns what programs find in media (what is said, where faces
// are, what can be read) into the files that Azure Media Services made of it:
// captions, keywords, insights.json, and the JSON of its detectors, cut into
// fragments and events.
//
// The programs are those of whoever runs the server; docs/plugins.md tells what
// they are to write. What they write is foreign input: bounded and checked here.
//
// What the package leaves out: how programs are called, where files come from and
// go to, and all that needs pictures or sound.
package analysis
