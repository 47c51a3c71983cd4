package main

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// A client talks to a server as any program would: over HTTP, with what
// endpoints.json says and nothing else.
type client struct {
	e     *endpoints
	http  *http.Client
	token string
}

// apiVersion is what the newest official SDKs send for most resources.
const apiVersion = "2022-08-01"

func newClient(e *endpoints) (*client, error) {
	pem, err := os.ReadFile(e.CAFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%s holds no certificate", e.CAFile)
	}
	return &client{e: e, http: &http.Client{
		Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}},
	}}, nil
}

// signIn gets a token by the client-credentials grant.
func (c *client) signIn(ctx context.Context) error {
	form := url.Values{
		"grant_type":    {"client_credentials"},
		"client_id":     {c.e.ClientID},
		"client_secret": {c.e.ClientSecret},
		"scope":         {c.e.Management + "/.default"},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.e.Authority+"/"+c.e.TenantID+"/oauth2/v2.0/token", strings.NewReader(form.Encode()))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	var answer struct {
		AccessToken string `json:"access_token"`
	}
	if err := c.do(req, &answer); err != nil {
		return fmt.Errorf("sign in: %w", err)
	}
	c.token = answer.AccessToken
	return nil
}

// call sends one Resource Manager request; path is below the account.
func (c *client) call(ctx context.Context, method, path string, body, into any) error {
	var r io.Reader
	if body != nil {
		data, err := json.Marshal(body)
		if err != nil {
			return err
		}
		r = bytes.NewReader(data)
	}
	u := fmt.Sprintf("%s/subscriptions/%s/resourceGroups/%s/providers/Microsoft.Media/mediaServices/%s%s?api-version=%s",
		c.e.Management, c.e.SubscriptionID, c.e.ResourceGroup, c.e.AccountName, path, apiVersion)
	req, err := http.NewRequestWithContext(ctx, method, u, r)
	if err != nil {
		return err
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Content-Type", "application/json")
	if err := c.do(req, into); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	return nil
}

func (c *client) do(req *http.Request, into any) error {
	resp, err := c.http.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	data, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	if err != nil {
		return err
	}
	if resp.StatusCode >= 300 {
		return fmt.Errorf("%s: %s", resp.Status, bytes.TrimSpace(data))
	}
	if into == nil || len(data) == 0 {
		return nil
	}
	return json.Unmarshal(data, into)
}

// upload stores a file as a block blob under a container's SAS URL, 8 MiB a
// block, as the storage SDKs do. progress gets the bytes acknowledged so far.
func (c *client) upload(ctx context.Context, containerSAS, name, path string, progress func(done int64)) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	u, err := url.Parse(containerSAS)
	if err != nil {
		return err
	}
	u = u.JoinPath(url.PathEscape(name))
	put := func(extra url.Values, body []byte) error {
		q := *u
		values := q.Query()
		for k, v := range extra {
			values[k] = v
		}
		q.RawQuery = values.Encode()
		req, err := http.NewRequestWithContext(ctx, http.MethodPut, q.String(), bytes.NewReader(body))
		if err != nil {
			return err
		}
		req.Header.Set("x-ms-version", "2021-06-08")
		return c.do(req, nil)
	}
	type blockList struct {
		XMLName xml.Name `xml:"BlockList"`
		Latest  []string
	}
	var list blockList
	buf := make([]byte, 8<<20)
	for done := int64(0); ; {
		n, err := io.ReadFull(f, buf)
		if n > 0 {
			id := base64.StdEncoding.EncodeToString(fmt.Appendf(nil, "block-%08d", len(list.Latest)))
			if err := put(url.Values{"comp": {"block"}, "blockid": {id}}, buf[:n]); err != nil {
				return fmt.Errorf("upload block %d of %s: %w", len(list.Latest), name, err)
			}
			list.Latest = append(list.Latest, id)
			done += int64(n)
			progress(done)
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			break
		}
		if err != nil {
			return err
		}
	}
	body, err := xml.Marshal(list)
	if err != nil {
		return err
	}
	if err := put(url.Values{"comp": {"blocklist"}}, body); err != nil {
		return fmt.Errorf("commit %s: %w", name, err)
	}
	return nil
}

// A jobView is what a client reads of a job.
type jobView struct {
	Properties struct {
		State   string `json:"state"`
		Outputs []struct {
			State    string  `json:"state"`
			Progress float64 `json:"progress"`
			Error    *struct {
				Code    string `json:"code"`
				Message string `json:"message"`
			} `json:"error"`
		} `json:"outputs"`
	} `json:"properties"`
}

// await polls a job until it has ended.
func (c *client) await(ctx context.Context, path string, progress func(percent float64)) error {
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for {
		var job jobView
		if err := c.call(ctx, http.MethodGet, path, nil, &job); err != nil {
			return err
		}
		if len(job.Properties.Outputs) > 0 {
			progress(job.Properties.Outputs[0].Progress)
		}
		switch job.Properties.State {
		case "Finished":
			return nil
		case "Error", "Canceled":
			for _, o := range job.Properties.Outputs {
				if o.Error != nil {
					return fmt.Errorf("the job ended in %s: %s: %s", job.Properties.State, o.Error.Code, o.Error.Message)
				}
			}
			return fmt.Errorf("the job ended in state %s", job.Properties.State)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-tick.C:
		}
	}
}
