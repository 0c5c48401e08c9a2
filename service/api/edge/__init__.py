"""What every request passes before a route sees it, and every answer on its way out. Bodies stream.

Own code, because Starlette's parts answer in plain text, and each of them knows only one of the limits.

    layers        puts the parts around an application
    request_ids   a name for each request: in the answer, in problem documents, in the log
    headers       the headers that keep a browser from doing more with an answer than showing it
    targets       lengths, paths, hosts and framings that no honest client sends
    bodies        content types, the cap on JSON bodies, clients that send too slowly
    strict_json   JSON that means the same to every reader
    connections   the server's side of a connection: a time limit on headers, problems for broken HTTP
"""
