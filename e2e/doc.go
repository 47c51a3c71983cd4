// Package e2e drives the built binary with real clients: the official SDKs,
// azure-cli, players in a browser. It holds tests and the scripts they run;
// nothing imports it. It also holds the tests of the tree itself: that imports
// point down and that every package says what it is.
package e2e
