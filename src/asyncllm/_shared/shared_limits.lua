-- Limits that many processes share, counted by the server's clock: one call for any number of attempts.
--
-- KEYS[1]  the beginning of all keys, with a hash tag: in a cluster they lie in one slot.
-- ARGV[1]  JSON: process, epoch (the one that the process knows, or false), fresh (the name of a new one), window
--          (seconds), seeds, ends, asks.
-- Returns  JSON: epoch, known (the process knew it), processes (seen in the last window), replies (one for each ask).
--
-- A window is counted in WIDTHS pieces. A piece leaves the count when it is older than the window and MARGIN pieces
-- (2.5% of a window), so that what was granted in any window is never above the limit, though requests that were
-- granted at one moment leave a little apart.

local WIDTHS = 200
local MARGIN = 5
local base = KEYS[1]
local said = cjson.decode(ARGV[1])
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local window = said.window * 1000000
local width = window / WIDTHS
local current = math.floor(now / width)
local keep = WIDTHS + MARGIN + 1
local ttl = math.ceil(window / 1000) * 2 + 1000

-- The epoch is the memory of the store: a store that was emptied begins another one.
local epoch = redis.call('GET', base .. ':epoch')
if not epoch then
  epoch = said.fresh
  redis.call('SET', base .. ':epoch', epoch)
end
redis.call('ZADD', base .. ':processes', now, said.process)
redis.call('ZREMRANGEBYSCORE', base .. ':processes', 0, now - window)
redis.call('PEXPIRE', base .. ':processes', ttl)
local answer = { epoch = epoch, known = (said.epoch == epoch), processes = redis.call('ZCARD', base .. ':processes') }

local function read(key, field)
  return tonumber(redis.call('HGET', key, field) or 0) or 0
end

-- Drops the pieces that have left the window. Returns requests and tokens in it.
local function swept(key)
  local last = read(key, 'last')
  if last == 0 or current - last >= keep then
    redis.call('DEL', key)
    redis.call('HSET', key, 'last', current)
    redis.call('PEXPIRE', key, ttl)
    return 0, 0
  end
  if current > last then
    local requests, tokens = 0, 0
    for piece = last + 1 - keep, current - keep do
      requests = requests + read(key, 'r' .. piece)
      tokens = tokens + read(key, 't' .. piece)
      redis.call('HDEL', key, 'r' .. piece, 't' .. piece)
    end
    if requests ~= 0 then redis.call('HINCRBY', key, 'requests', 0 - requests) end
    if tokens ~= 0 then redis.call('HINCRBY', key, 'tokens', 0 - tokens) end
    redis.call('HSET', key, 'last', current)
  end
  return read(key, 'requests'), read(key, 'tokens')
end

local function add(key, piece, requests, tokens)
  redis.call('HINCRBY', key, 'requests', requests)
  redis.call('HINCRBY', key, 'tokens', tokens)
  redis.call('HINCRBY', key, 'r' .. piece, requests)
  redis.call('HINCRBY', key, 't' .. piece, tokens)
  redis.call('PEXPIRE', key, ttl)
end

-- Microseconds until so much of a kind has left the window.
local function until_free(key, kind, excess)
  for piece = current - keep + 1, current do
    excess = excess - read(key, kind .. piece)
    if excess <= 0 then
      return (piece + keep) * width - now
    end
  end
  return window
end

local function meter_key(name)
  return base .. ':m:' .. name
end

local function lease_key(name)
  return base .. ':l:' .. name
end

-- What a process took while it could not ask: age in seconds, requests, tokens.
for _, seed in ipairs(said.seeds) do
  local key = meter_key(seed.name)
  swept(key)
  for _, taken in ipairs(seed.taken) do
    local piece = math.floor((now - taken[1] * 1000000) / width)
    if piece > current - keep then
      add(key, piece, taken[2], taken[3])
    end
  end
  for _, lease in ipairs(seed.leases) do
    redis.call('ZADD', lease_key(seed.name), now + lease[2] * 1000000, lease[1])
  end
end

-- Attempts that are over.
for _, ended in ipairs(said.ends) do
  for _, name in ipairs(ended.meters) do
    local key = meter_key(name)
    redis.call('ZREM', lease_key(name), ended.id)
    if ended.piece and ended.piece > current - keep then
      swept(key)
      local tokens = ended.tokens or 0
      add(key, ended.piece, ended.void and -1 or 0, tokens)
    end
  end
  if ended.target then
    local key = base .. ':h:' .. ended.target
    if ended.clear then
      redis.call('HDEL', key, 'off', 'why', 'probe')
    end
    if ended.cool then
      redis.call('HSET', key, 'cool', math.max(read(key, 'cool'), now + ended.cool * 1000000))
    end
    if ended.off then
      redis.call('HSET', key, 'off', now + ended.off * 1000000, 'why', ended.why)
      redis.call('HDEL', key, 'probe')
    end
    for kind, left in pairs(ended.left or {}) do
      redis.call('HSET', key, kind .. '_left', left[1], kind .. '_reset', now + left[2] * 1000000)
    end
    redis.call('PEXPIRE', key, 3700000)
  end
end

-- How many processes wait for a limit and came before this one: it gets nothing that they are waiting for, so that all
-- have an equal part. Whoever has not asked again for 1.5 s waits no longer.
local function ahead(name)
  local queue, seen = base .. ':q:' .. name, base .. ':s:' .. name
  if redis.call('ZCARD', queue) == 0 then
    return 0
  end
  for _, process in ipairs(redis.call('ZRANGEBYSCORE', seen, 0, now - 1500000)) do
    redis.call('ZREM', queue, process)
    redis.call('ZREM', seen, process)
  end
  return redis.call('ZRANK', queue, said.process) or redis.call('ZCARD', queue)
end

-- Attempts that want to begin. A process of another epoch gets nothing before it has told what it took.
answer.replies = {}
if not answer.known then
  return cjson.encode(answer)
end
for number, ask in ipairs(said.asks) do
  local reply = { id = ask.id, piece = current }
  local wait, why = 0, nil
  local health = base .. ':h:' .. ask.target
  local used = {}
  for place, meter in ipairs(ask.meters) do
    local key = meter_key(meter.name)
    local requests, tokens = swept(key)
    used[place] = { requests, tokens }
    if meter.requests then
      local wanted = requests + 1 + ahead(meter.name)
      if wanted > meter.requests then
        wait, why = math.max(wait, until_free(key, 'r', wanted - meter.requests)), 'window'
      end
    end
    if meter.tokens then
      local wanted = math.min(ask.tokens, meter.tokens)
      if tokens > 0 and tokens + wanted > meter.tokens then
        wait, why = math.max(wait, until_free(key, 't', tokens + wanted - meter.tokens)), 'window'
      end
    end
    if meter.concurrent then
      local leases = lease_key(meter.name)
      redis.call('ZREMRANGEBYSCORE', leases, 0, now)
      if redis.call('ZCARD', leases) >= meter.concurrent then
        wait, why = math.max(wait, 20000), why or 'concurrent'
      end
    end
  end
  for kind, wanted in pairs({ requests = 1, tokens = ask.tokens }) do
    local reset = read(health, kind .. '_reset')
    if reset > now and read(health, kind .. '_left') < wanted then
      wait, why = math.max(wait, reset - now), 'window'
    end
  end
  if wait > 0 then
    reply.wait, reply.why = math.max(wait, 1000) / 1000000, why
    if why == 'window' then
      for _, meter in ipairs(ask.meters) do
        redis.call('ZADD', base .. ':q:' .. meter.name, 'NX', now, said.process)
        redis.call('ZADD', base .. ':s:' .. meter.name, now, said.process)
        redis.call('PEXPIRE', base .. ':q:' .. meter.name, 5000)
        redis.call('PEXPIRE', base .. ':s:' .. meter.name, 5000)
      end
    end
  else
    reply.granted = true
    for _, meter in ipairs(ask.meters) do
      redis.call('ZREM', base .. ':q:' .. meter.name, said.process)
      add(meter_key(meter.name), current, 1, ask.tokens)
      if meter.concurrent then
        redis.call('ZADD', lease_key(meter.name), now + ask.lease * 1000000, ask.id)
        redis.call('PEXPIRE', lease_key(meter.name), math.ceil(ask.lease * 1000) + 1000)
      end
    end
    for kind, wanted in pairs({ requests = 1, tokens = ask.tokens }) do
      if read(health, kind .. '_reset') > now then
        redis.call('HINCRBY', health, kind .. '_left', -wanted)
      end
    end
  end
  reply.used = used
  local cool, off = read(health, 'cool'), read(health, 'off')
  if cool > now then
    reply.cool = (cool - now) / 1000000
  end
  if off > now then
    reply.off, reply.off_why = (off - now) / 1000000, redis.call('HGET', health, 'why')
  elseif off > 0 then -- one process of all sends the probe
    local probe = read(health, 'probe')
    if probe > now then
      reply.off, reply.off_why = (probe - now) / 1000000, redis.call('HGET', health, 'why')
    else
      redis.call('HSET', health, 'probe', now + 5000000)
    end
  end
  answer.replies[number] = reply
end
return cjson.encode(answer)
